"""Users over HTTP."""

from service.kit.crud import router_of
from service.kit.resource import Lookup, Resource
from service.users.models import UserCreate, UserPublic, UserUpdate

USERS = Resource("user", UserPublic, UserCreate, UserUpdate, lookups=[Lookup("email", unique=True)])
router = router_of(USERS)
