"""What a model can take, and what it costs: tables, each row with source and date."""
