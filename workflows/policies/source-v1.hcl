# Reads a KV v1 mount `kv`: plan and copy. Narrow `*` to the prefix that is moved.
path "kv/*" {
  capabilities = ["read", "list"]
}
# Looks for policies that have rules on parameters, which KV v2 does not take. Without it that is not known: the plan has the
# loss `policies-unread`.
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}
# What this token can do and how long it lives: what `cutover doctor` and the notes of a plan say of it.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
