-- Pending waits for a person. Rejected, Expired and Void are answers: nothing runs, nothing waits.
local hs = {status = "Suspended", message = "awaiting approval"}
local state = "Pending"
if obj.status ~= nil and obj.status.state ~= nil then
  state = obj.status.state
end
if state == "Pending" then
  hs.message = "awaiting approval: " .. obj.spec.summary
  if obj.status ~= nil and obj.status.approvals ~= nil and obj.status.approvals ~= "" then
    hs.message = hs.message .. " (" .. obj.status.approvals .. ")"
  end
  return hs
end
hs.status = "Healthy"
if state == "Approved" then
  hs.status = "Progressing"
end
hs.message = state
if obj.status.decidedBy ~= nil and obj.status.decidedBy ~= "" then
  hs.message = hs.message .. " by " .. obj.status.decidedBy
end
if obj.status.message ~= nil and obj.status.message ~= "" then
  hs.message = hs.message .. ": " .. obj.status.message
end
return hs
