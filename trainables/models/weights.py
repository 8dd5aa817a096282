"""Loads an encoder's weights, and checks that they are those of its architecture."""

from pathlib import Path

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from trainables.config.trial import ModelConfig
from trainables.models.architecture import fresh_model, layer_lists
from trainables.models.files import encoder_error
from trainables.models.quiet import quiet
from trainables.models.text_to_text import model_class

_BUFFERS = (
    *("position_ids", "token_type_ids", "inv_freq", "attn.bias", "attn.masked_bias"),
    *("dft_mat_hidden", "dft_mat_seq"),
)
"""Ends of the names of tensors that older versions stored and that follow from the architecture."""


def load_weights(
    model: ModelConfig, config: PretrainedConfig, folder: Path, *, names_only: bool = False
) -> PreTrainedModel:
    """Load a model with its weights, in float32.

    A pooler without weights is left out: it would be a second dense layer under the head's own.

    Args:
        model: the encoder's configuration, for messages.
        config: the architecture.
        folder: where the weights are.
        names_only: compare the tensors' names and shapes alone; the model is then without content,
            on torch's meta device.

    Raises:
        EncoderError: the weights are damaged or of another architecture.
    """
    try:
        with quiet():
            loaded, report = model_class(config).from_pretrained(
                folder,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                device_map={"": "meta"} if names_only else None,
                ignore_mismatched_sizes=True,
            )
    except Exception as error:
        with quiet(), torch.device("meta"):
            fresh_model(model, config)
        reason = " ".join(str(error).split())[:200]
        raise encoder_error(
            model, "encoder", f"its weights cannot be loaded ({reason}); fetch them again"
        ) from error
    if names_only:
        # Words that are in the files under several names are one tensor all the same.
        loaded.tie_weights()
    if other := sorted(report["mismatched_keys"]):
        name, found, expected = other[0]
        raise encoder_error(
            model,
            "encoder",
            f"its weights {name} have the shape {tuple(found)}, but its config.json makes it "
            f"{tuple(expected)}; they do not belong together",
        )
    missing = set(report["missing_keys"])
    fresh_pooler = {key for key in missing if key.startswith("pooler.")}
    if lost := sorted(missing - fresh_pooler):
        raise encoder_error(
            model,
            "encoder",
            f"its weights lack {len(lost)} of the tensors of a {config.model_type} "
            f"({lost[0]} ...), so they belong to another architecture; fetch them again",
        )
    if unknown := _unknown_tensors(loaded, set(report["unexpected_keys"])):
        raise encoder_error(
            model,
            "encoder",
            f"its weights have {len(unknown)} tensors that a {config.model_type} does not know "
            f"({unknown[0]} ...), so they belong to another architecture, whatever its config.json "
            "says; choose another encoder",
        )
    if fresh_pooler:
        leave_out_pooler(loaded)
    return loaded


def leave_out_pooler(loaded: PreTrainedModel) -> None:
    """Replace a model's pooler by a module that does nothing; some families always call it."""
    loaded.pooler = nn.Identity()


def _unknown_tensors(loaded: PreTrainedModel, unexpected: set[str]) -> list[str]:
    """Those of the ``unexpected`` tensors that stand inside the encoder, not beside it in a head.

    Layers that ``num_layers`` cuts off are no part of it.
    """
    parts = {name for name, _ in loaded.named_children()}
    lists = layer_lists(loaded)
    prefix = f"{loaded.base_model_prefix}."
    unknown = []
    for key in sorted(unexpected):
        name = key.removeprefix(prefix)
        if name.split(".")[0] not in parts or name.endswith(_BUFFERS):
            continue
        numbers = [name.removeprefix(f"{one}.") for one in lists if name.startswith(f"{one}.")]
        cut_off = any(
            number.split(".")[0].isdigit()
            and int(number.split(".")[0]) >= loaded.config.num_hidden_layers
            for number in numbers
        )
        if not cut_off and not name.startswith("pooler."):
            unknown.append(key)
    return unknown
