# Removes keys of a KV v2 mount `secret` for good: destroy-kv. Give it for that step only.
path "secret/metadata/*" {
  capabilities = ["read", "delete"]
}
path "secret/data/*" {
  capabilities = ["read"]
}
