import pandas as pd


def top_products(orders, n=3):
    """Return month, product, quantity and revenue of the n best products of each month."""
    raise NotImplementedError
