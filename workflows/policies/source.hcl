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
# What this token can do and how long it lives: what `cutover doctor` and the notes of a plan say of it.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
