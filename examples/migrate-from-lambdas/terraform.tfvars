legacy_routes = {
  "POST /users"        = "arn:aws:lambda:eu-central-1:111122223333:function:AddUser"
  "DELETE /users/{id}" = "arn:aws:lambda:eu-central-1:111122223333:function:DeleteUser"
}
