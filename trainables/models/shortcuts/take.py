"""Takes all shortcuts through a model that is about to be trained."""

from trainables.models.classifier import Classifier
from trainables.models.shortcuts.attention import use_attention
from trainables.models.shortcuts.bert_layers import use_bert_shortcuts
from trainables.models.shortcuts.dropout import use_bit_dropout


def take_shortcuts(model: Classifier) -> None:
    """Change how a model is computed, in place; its parameters and their names stay."""
    use_bit_dropout(model)
    use_attention(model.encoder.plain)
    first_token_only = not any(model.head(name).reads_all for name in model.classes)
    use_bert_shortcuts(model.encoder, first_token_only=first_token_only)
