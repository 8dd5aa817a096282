"""What is asked and answered over HTTP, and how much may be asked."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Limits:
    """How much may be asked.

    Attributes:
        body_bytes: of a request.
        inputs: of a request.
        characters: of a text.
        requests: that are answered at once; more are refused with code 429.
    """

    body_bytes: int = 1 << 20
    inputs: int = 128
    characters: int = 20_000
    requests: int = 256


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Example(_Closed):
    """One example."""

    text: Annotated[str, Field(description="its only or first text")]
    text_pair: Annotated[str | None, Field(description="its second text")] = None


class Question(_Closed):
    """The body of a request."""

    inputs: Annotated[list[Example], Field(min_length=1, description="the examples")]
    tasks: Annotated[
        list[str] | None,
        Field(
            min_length=1,
            description="those to answer; without, each example is answered for the tasks with as "
            "many texts as it has. A task of one text that is named reads the first of two.",
        ),
    ] = None


class TaskAnswer(BaseModel):
    """What a task's head says of an example."""

    label: Annotated[str | None, Field(description="the most probable; null of a regression")]
    score: Annotated[float, Field(description="its probability; of a regression the number")]
    probabilities: Annotated[
        dict[str, float] | None, Field(description="of all labels; null of a regression")
    ]


class Answers(BaseModel):
    """The body of a response."""

    answers: Annotated[
        list[dict[str, TaskAnswer]], Field(description="of each example, task -> answer")
    ]


class Problem(BaseModel):
    """The body of a response with a code from 400 on."""

    error: Annotated[str, Field(description="one line: what is wrong and what to do")]


class TaskFacts(BaseModel):
    """A task of the model."""

    labels: Annotated[list[str], Field(description="none of a regression")]
    texts: Annotated[int, Field(description="how many texts an example has, 1 or 2")]


class ModelFacts(BaseModel):
    """What the model answers."""

    tasks: dict[str, TaskFacts]
    max_length: Annotated[int, Field(description="tokens of an example; a longer one is cut")]
