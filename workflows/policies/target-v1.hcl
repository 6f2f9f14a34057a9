# Writes secrets of a KV v1 mount `kv`, and takes back what it wrote. Narrow `*` to the prefix that is moved.
path "kv/*" {
  capabilities = ["create", "read", "update", "delete"]
}
