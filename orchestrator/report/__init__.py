"""From records to results, the comparison table in every format, and the verdict."""
