# Reads a KV v2 mount `secret`: the verification by another credential than the one that wrote.
path "secret/config" {
  capabilities = ["read"]
}
path "secret/metadata/*" {
  capabilities = ["read", "list"]
}
path "secret/data/*" {
  capabilities = ["read"]
}
