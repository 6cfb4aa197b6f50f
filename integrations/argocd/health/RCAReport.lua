-- A report without a model (Degraded) or without an answer (Unresolved) is still a finished report.
local hs = {status = "Progressing", message = "diagnosing"}
if obj.status == nil or obj.status.state == nil or obj.status.state == "Pending" then
  return hs
end
local state = obj.status.state
hs.status = "Healthy"
hs.message = state
if state == "Failed" then
  hs.status = "Degraded"
end
if obj.status.cause ~= nil and obj.status.cause ~= "" then
  hs.message = state .. ": " .. obj.status.cause
  if obj.status.confidencePercent ~= nil then
    hs.message = hs.message .. " (" .. tostring(obj.status.confidencePercent) .. " %)"
  end
elseif obj.status.degradedReason ~= nil and obj.status.degradedReason ~= "" then
  hs.message = state .. ": " .. obj.status.degradedReason
end
return hs
