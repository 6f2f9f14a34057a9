# Removes secrets of a KV v1 mount `kv` for good: destroy-kv. Give it for that step only.
path "kv/*" {
  capabilities = ["read", "delete"]
}
