"""Customers: whom the business serves."""
