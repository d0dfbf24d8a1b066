import pandas as pd


def top_products(orders, n=3):
    once = orders.drop_duplicates()
    table = pd.DataFrame(
        {
            "month": once["ordered_at"].astype(str).str[:7],
            "product": once["product"],
            "quantity": once["quantity"],
            "revenue": (once["quantity"] * once["unit_price"]).fillna(0.0),
        }
    )
    sums = table.groupby(["month", "product"], as_index=False).sum()
    sums["revenue"] = sums["revenue"].round(2)
    ordered = sums.sort_values(["month", "revenue", "product"], ascending=[True, False, True])
    return ordered.groupby("month").head(n).reset_index(drop=True)
