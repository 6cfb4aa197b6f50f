-- Only what still waits can be decided.
local pending = obj.status == nil or obj.status.state == nil or obj.status.state == "Pending"
return {
  approve = {
    disabled = not pending,
    displayName = "Approve",
    iconClass = "fa fa-fw fa-check",
    params = {{name = "reason"}},
  },
  reject = {
    disabled = not pending,
    displayName = "Reject",
    iconClass = "fa fa-fw fa-ban",
    params = {{name = "reason"}},
  },
}
