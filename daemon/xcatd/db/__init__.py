"""The existing xCAT database: location, schema, reading rules, guarded writes."""
