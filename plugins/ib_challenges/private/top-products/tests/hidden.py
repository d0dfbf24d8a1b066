import pandas as pd
from entry import top_products


def _rows(found):
    return [
        [str(m), str(p), int(q), round(float(r), 2)]
        for m, p, q, r in found[["month", "product", "quantity", "revenue"]].itertuples(index=False)
    ]


def run_the_file():
    return _rows(top_products(pd.read_csv("orders.csv")))


def run_all_products_of_the_file():
    return _rows(top_products(pd.read_csv("orders.csv"), n=99))


def run_ties_and_returns():
    orders = pd.DataFrame(
        {
            "order_id": range(1, 9),
            "ordered_at": ["2025-12-31T23:59:59"] * 4 + ["2026-01-01T00:00:00"] * 4,
            "product": ["Pen", "Cup", "Bag", "Pen", "Hat", "Hat", "Cup", "Bag"],
            "category": ["x"] * 8,
            "quantity": [10, 2, 1, -3, 5, -5, 1, 1],
            "unit_price": [1.4, 4.9, 9.8, 1.4, 3.0, 3.0, 0.0, 2.5],
            "country": ["DE"] * 8,
        }
    )
    return [
        _rows(top_products(orders)),
        list(top_products(orders).columns),
        list(top_products(orders).index),
    ]


def run_the_frame_is_left_alone():
    orders = pd.read_csv("orders.csv")
    before = orders.copy()
    top_products(orders)
    return [
        bool(orders.equals(before)),
        list(orders.columns),
        len(orders),
        str(orders["ordered_at"].iloc[7]),
    ]
