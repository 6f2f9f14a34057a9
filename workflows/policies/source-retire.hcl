# Soft-deletes versions of a KV v2 mount `secret` and takes that back: retire-kv. Nothing here removes data.
# Together with source.hcl it is what copy-kv needs for `recover_deleted = true`.
path "secret/config" {
  capabilities = ["read"]
}
path "secret/metadata/*" {
  capabilities = ["read"]
}
path "secret/data/*" {
  capabilities = ["read"]
}
path "secret/delete/*" {
  capabilities = ["update"]
}
path "secret/undelete/*" {
  capabilities = ["update"]
}
# What this token can do and how long it lives: what `cutover doctor` and the notes of a plan say of it.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
