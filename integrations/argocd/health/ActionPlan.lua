-- Denied, Expired and Superseded plans changed nothing and wait for nobody. What could not be verified is not healthy.
local hs = {status = "Progressing", message = "proposed; policy has not decided yet"}
if obj.status == nil or obj.status.state == nil then
  return hs
end
local state = obj.status.state
local health = {
  AwaitingApproval = "Suspended",
  Verified = "Healthy",
  Denied = "Healthy",
  Expired = "Healthy",
  Superseded = "Healthy",
  Failed = "Degraded",
  Ineffective = "Degraded",
  Inconclusive = "Degraded",
}
hs.status = health[state] or "Progressing"
hs.message = state .. ": " .. obj.spec.summary
local said = nil
if state == "Denied" and obj.status.decision ~= nil then
  said = obj.status.decision.message
elseif state == "Failed" and obj.status.execution ~= nil then
  said = obj.status.execution.message
elseif (state == "Ineffective" or state == "Inconclusive") and obj.status.verification ~= nil then
  said = obj.status.verification.message
end
if said ~= nil and said ~= "" then
  hs.message = hs.message .. " (" .. said .. ")"
end
return hs
