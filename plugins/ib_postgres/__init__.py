"""The ledger for teams, on PostgreSQL 15 or newer: one database that several hosts share.

Every write is one call of one function in the database: one round trip, one transaction, its check and its
reservation in one conditional statement. Importing this package does not import psycopg.
"""
