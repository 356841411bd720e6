"""The embedded engine against OpenMLDB's own on Spark, over random feature sets. See docs/parity.md."""
