# Reads a KV v1 mount `kv`: plan and copy. Narrow `*` to the prefix that is moved.
path "kv/*" {
  capabilities = ["read", "list"]
}
