# Writes keys of a KV v2 mount `secret`, and takes back what it wrote. Narrow `*` to the prefix that is moved.
path "secret/config" {
  capabilities = ["read"]
}
# `delete` removes a key that the copy made, when it goes back.
path "secret/metadata/*" {
  capabilities = ["create", "read", "update", "delete"]
}
path "secret/data/*" {
  capabilities = ["create", "read", "update"]
}
# For versions that are soft-deleted at the source, after the plan or with `recover_deleted = true`.
path "secret/delete/*" {
  capabilities = ["update"]
}
# For versions without data, and for added versions when a merged key goes back.
path "secret/destroy/*" {
  capabilities = ["update"]
}
# What this token can do and how long it lives: what `cutover doctor` and the notes of a plan say of it.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
