"""Operators to kernel calls: rules.py finds the rule of an operator in one of the other files."""
