"""Sessions and budgets, without any AI."""
