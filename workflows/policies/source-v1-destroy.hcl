# Removes secrets of a KV v1 mount `kv` for good: destroy-kv. Give it for that step only.
path "kv/*" {
  capabilities = ["read", "delete"]
}
# What this token can do and how long it lives: what `cutover doctor` and the notes of a plan say of it.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
