"""How transformers 4.57.3 writes texts, for every specimen of ``tiny_encoders``.

Run in an environment of that version, on folders that ``tests/helpers/tiny_encoders.py`` wrote::

    python -m tests.helpers.tiny_encoders FOLDER
    OTHER_ENVIRONMENT/bin/python tests/helpers/reference_pairs.py FOLDER > \
        tests/fixtures/encoder_pairs.json

It needs nothing of the project. The version is the last of those whose tokenizer classes are the
families' own; the texts are made up.
"""

import json
import sys
from pathlib import Path

FIRST = "the cat sees a dog!"
SECOND = "this old teacher reads"


def main() -> None:
    """Print the ids and segments of a text and of a pair: specimen -> values."""
    from transformers import AutoTokenizer

    table = {}
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast="sentencepiece" not in folder.name
        )
        pair = tokenizer(FIRST, SECOND)
        table[folder.name] = {
            "single": tokenizer(FIRST)["input_ids"],
            "pair": pair["input_ids"],
            "segments": pair.get("token_type_ids"),
        }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in table.items())
    print(f"{{\n{lines}\n}}")


if __name__ == "__main__":
    main()
