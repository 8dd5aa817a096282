"""How far a grid is, on a terminal or from its files."""
