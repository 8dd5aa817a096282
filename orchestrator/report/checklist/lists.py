"""The items of three checklists, each in a few own words, and which subjects answer them.

- Responsible NLP checklist of ACL Rolling Review, https://aclrollingreview.org/responsibleNLPresearch
- NeurIPS paper checklist, https://neurips.cc/public/guides/PaperChecklist
- J. Pineau, machine learning reproducibility checklist,
  https://www.cs.mcgill.ca/~jpineau/ReproducibilityChecklist.pdf
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One question of a checklist.

    Attributes:
        number: the item's number, or its place.
        about: what it asks, in own words.
        subjects: keys of ``SUBJECTS`` that answer it; none where it asks about the paper itself.
    """

    number: str
    about: str
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checklist:
    """A checklist of a venue.

    Attributes:
        name: whose it is.
        version: which one.
        items: its questions.
    """

    name: str
    version: str
    items: tuple[Item, ...]


ARR = Checklist(
    "ACL Rolling Review: Responsible NLP checklist",
    "form of ARR since 2024",
    (
        Item("A1", "limitations are discussed"),
        Item("A2", "risks are discussed"),
        Item("B1", "creators of data, models and tools are cited", ("artifacts", "packages")),
        Item("B2", "licences and terms of use", ("licences",)),
        Item("B3", "use agrees with what the artifacts are meant for"),
        Item("B4", "personal or offensive content in the data"),
        Item("B5", "documentation of data: domains, languages, groups", ("origins",)),
        Item("B6", "numbers of examples and splits", ("sizes", "splits")),
        Item(
            "C1", "parameters, computation, machines", ("parameters", "compute", "infrastructure")
        ),
        Item("C2", "setup, search and best settings", ("hyperparameters", "search")),
        Item(
            "C3",
            "what the numbers are: runs, mean, spread",
            ("runs", "statistics", "results", "failures", "margins"),
        ),
        Item("C4", "packages and their settings", ("packages", "metrics", "preprocessing")),
        Item("D1", "instructions to annotators"),
        Item("D2", "recruitment and payment of annotators"),
        Item("D3", "consent of those whose data is used"),
        Item("D4", "ethics review of data collection"),
        Item("D5", "who the annotators are"),
        Item("E1", "use of AI assistants"),
    ),
)

NEURIPS = Checklist(
    "NeurIPS paper checklist",
    "2025, 16 questions",
    (
        Item("1", "claims match the results"),
        Item("2", "limitations"),
        Item("3", "assumptions and proofs of theory"),
        Item(
            "4",
            "what it takes to reproduce the results",
            ("methods", "hyperparameters", "splits", "commands"),
        ),
        Item("5", "access to data and code", ("origins", "code", "commands")),
        Item(
            "6",
            "details of training and test",
            ("sizes", "splits", "preprocessing", "hyperparameters", "search"),
        ),
        Item(
            "7",
            "error bars and significance",
            ("statistics", "results", "margins", "failures"),
        ),
        Item("8", "computation", ("infrastructure", "compute", "runtime")),
        Item("9", "code of ethics"),
        Item("10", "broader impact"),
        Item("11", "safeguards against misuse"),
        Item("12", "creators and licences of what is used", ("artifacts", "licences")),
        Item("13", "documentation of new assets", ("models",)),
        Item("14", "crowd workers and human subjects"),
        Item("15", "review board approval"),
        Item("16", "use of language models in the method"),
    ),
)

PINEAU = Checklist(
    "Pineau: machine learning reproducibility checklist",
    "v2.0, April 2020",
    (
        Item("models 1", "description of the method", ("methods",)),
        Item("models 2", "assumptions of the method"),
        Item("models 3", "complexity of the method", ("parameters", "runtime")),
        Item("theory 1", "statement of each theoretical claim"),
        Item("theory 2", "proof of each theoretical claim"),
        Item("data 1", "numbers of examples", ("sizes",)),
        Item("data 2", "splits", ("splits",)),
        Item("data 3", "examples left out, preprocessing", ("preprocessing",)),
        Item("data 4", "where to get the data", ("origins",)),
        Item("data 5", "how new data was collected"),
        Item("code 1", "dependencies", ("packages",)),
        Item("code 2", "training code", ("code", "training code")),
        Item("code 3", "evaluation code", ("training code",)),
        Item("code 4", "trained models", ("models",)),
        Item("code 5", "table of results and the command for it", ("results table", "commands")),
        Item("results 1", "range of settings, choice, those used", ("search", "hyperparameters")),
        Item("results 2", "number of training and evaluation runs", ("runs", "failures")),
        Item("results 3", "definition of measures and statistics", ("metrics", "statistics")),
        Item("results 4", "mean and variation", ("results", "statistics")),
        Item("results 5", "running time or energy", ("runtime", "compute")),
        Item("results 6", "machines", ("infrastructure",)),
    ),
)

CHECKLISTS = (ARR, NEURIPS, PINEAU)
