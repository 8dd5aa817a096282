"""The report of predict beside pipelines, and the texts that are answered."""

from statistics import median

from benchmarks.predict_throughput import report, texts


def test_ratios_are_taken_within_rounds() -> None:
    rates = {3: {"predict": [100.0, 300.0, 30.0], "pipeline": [50.0, 100.0, 10.0]}}
    assert report(rates).splitlines()[2:] == [
        "| 3 | predict | 100 |  |",
        "| 3 | pipeline | 50 | 3.00 times |",
    ]


def test_texts_have_16_words_in_the_median() -> None:
    sizes = [len(text.split()) for text in texts(2000)]
    assert 15 <= median(sizes) <= 18
    assert (min(sizes) >= 2, max(sizes)) == (True, 60)
