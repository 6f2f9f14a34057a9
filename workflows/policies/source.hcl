# Reads a KV v2 mount `secret`: plan and copy. Narrow `*` to the prefix that is moved.
path "secret/config" {
  capabilities = ["read"]
}
path "secret/metadata/*" {
  capabilities = ["read", "list"]
}
path "secret/data/*" {
  capabilities = ["read"]
}
