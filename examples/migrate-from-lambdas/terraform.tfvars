issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_example"

legacy_routes = {
  "POST /users"        = "arn:aws:lambda:eu-central-1:000000000000:function:AddUser"
  "DELETE /users/{id}" = "arn:aws:lambda:eu-central-1:000000000000:function:DeleteUser"
}
