-- An invalid policy means that a person decides everything in its namespaces: safe, and worth a look.
if obj.status == nil or obj.status.valid == nil
  or (obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation) then
  return {status = "Progressing", message = "not validated yet"}
end
if obj.status.valid then
  return {status = "Healthy", message = "valid"}
end
local hs = {status = "Degraded", message = "invalid"}
if obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Valid" and condition.message ~= nil then
      hs.message = condition.message
    end
  end
end
return hs
