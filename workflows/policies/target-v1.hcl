# Writes secrets of a KV v1 mount `kv`, and takes back what it wrote. Narrow `*` to the prefix that is moved.
path "kv/*" {
  capabilities = ["create", "read", "update", "delete"]
}
# What this token can do and how long it lives: what `cutover doctor` and the notes of a plan say of it.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
