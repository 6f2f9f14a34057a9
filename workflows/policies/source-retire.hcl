# Soft-deletes versions of a KV v2 mount `secret` and takes that back: retire-kv. Nothing here removes data.
# The same rights let `recover_deleted = true` of copy-kv read soft-deleted versions.
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
