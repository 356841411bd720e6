"""The feature language: from YAML to a resolved `FeatureSet`, its checks and its SQL.

The way through it: `resolve.resolve(config)` makes the feature set (`spec`), out of expressions (`lexer`, `parser`, `expression`,
`functions`, `infer`) and windows (`frames`, `resolve_window`); `checks.check` warns; `sql.render` writes OpenMLDB's statements
(`rewrite`, `indexes`, `quoting`); `compiler.check` asks OpenMLDB's own compiler.
"""
