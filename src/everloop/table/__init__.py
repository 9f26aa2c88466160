"""What a table or a row must be: its schema, its contract, SQL expressions over a row, prices, a dataset.

Example:
    >>> from everloop.table.expression import parse, to_row
    >>> to_row(parse("amount * 0.04", {"amount": "number"}))({"amount": 100})
    4.0
"""
