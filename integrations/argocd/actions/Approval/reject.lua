-- The annotation that `kubectl annotate` would set. Who decided is whoever the API server sees: Argo CD's service account.
local reason = actionParams ~= nil and actionParams["reason"] or nil
if reason == nil or reason == "" then
  error("a reason is required", 0)
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["iirp.io/decision"] = "reject"
obj.metadata.annotations["iirp.io/reason"] = reason
return obj
