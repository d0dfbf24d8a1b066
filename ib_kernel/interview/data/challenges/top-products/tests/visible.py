import pandas as pd
from entry import top_products

ORDERS = pd.DataFrame(
    {
        "order_id": [1, 2, 2, 3],
        "ordered_at": [
            "2026-01-05T10:00:00",
            "2026-01-06T10:00:00",
            "2026-01-06T10:00:00",
            "2026-02-01T00:00:00",
        ],
        "product": ["Mug", "Lamp", "Lamp", "Mug"],
        "category": ["kitchen", "home", "home", "kitchen"],
        "quantity": [4, 1, 1, 2],
        "unit_price": [7.5, 24.5, 24.5, 7.5],
        "country": ["DE", "FR", "FR", "DE"],
    }
)


def test_an_order_that_is_there_twice_counts_once():
    found = top_products(ORDERS)
    assert found[found["product"] == "Lamp"]["revenue"].tolist() == [24.5]


def test_months_are_in_order_and_the_best_comes_first():
    found = top_products(ORDERS)
    assert found[["month", "product"]].values.tolist() == [
        ["2026-01", "Mug"],
        ["2026-01", "Lamp"],
        ["2026-02", "Mug"],
    ]


def test_only_n_of_each_month():
    assert top_products(ORDERS, n=1)["product"].tolist() == ["Mug", "Mug"]
