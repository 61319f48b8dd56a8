"""Users over HTTP."""

from service.kit.crud import router_of
from service.kit.models import Email
from service.kit.resource import Lookup, Resource
from service.users.models import User, UserUpdate, UserWrite

router = router_of(Resource("user", UserWrite, UserUpdate, User, lookup=Lookup("email", Email, unique=True)))
