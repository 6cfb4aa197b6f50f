-- Escalated is what a person must look at; AwaitingApproval is what a person must decide.
local hs = {status = "Progressing", message = "detected; not looked at yet"}
if obj.status == nil or obj.status.state == nil then
  return hs
end
local state = obj.status.state
local health = {
  AwaitingApproval = "Suspended",
  Escalated = "Degraded",
  Resolved = "Healthy",
  Recovered = "Healthy",
  Closed = "Healthy",
}
hs.status = health[state] or "Progressing"
hs.message = state
if obj.status.severity ~= nil then
  hs.message = hs.message .. " (" .. obj.status.severity .. ")"
end
if obj.status.cause ~= nil and obj.status.cause ~= "" then
  hs.message = hs.message .. ": " .. obj.status.cause
elseif obj.spec.summary ~= nil and obj.spec.summary ~= "" then
  hs.message = hs.message .. ": " .. obj.spec.summary
end
return hs
