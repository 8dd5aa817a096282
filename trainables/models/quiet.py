"""Silences the reports, progress bars and log lines of the Hugging Face libraries."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers and huggingface_hub log only errors within the block.

    Problems of a load are raised as ``EncoderError`` instead.
    """
    from huggingface_hub.utils import logging as hub
    from transformers.utils import logging as transformers

    levels = transformers.get_verbosity(), hub.get_verbosity()
    bars = transformers.is_progress_bar_enabled()
    transformers.set_verbosity_error()
    hub.set_verbosity_error()
    with warnings.catch_warnings():
        # Switching bars warns if HF_HUB_DISABLE_PROGRESS_BARS is set; loading files may warn too.
        warnings.simplefilter("ignore")
        transformers.disable_progress_bar()
        try:
            yield
        finally:
            transformers.set_verbosity(levels[0])
            hub.set_verbosity(levels[1])
            if bars:
                transformers.enable_progress_bar()
