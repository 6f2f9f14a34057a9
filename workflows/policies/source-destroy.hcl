# Removes keys of a KV v2 mount `secret` for good: destroy-kv. Give it for that step only.
path "secret/metadata/*" {
  capabilities = ["read", "delete"]
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
