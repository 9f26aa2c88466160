"""Flights: will a flight arrive more than 15 minutes late?"""

__all__: list[str] = []
