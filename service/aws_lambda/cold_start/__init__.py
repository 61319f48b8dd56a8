"""An optional stage that makes a cold start shorter; the image leaves it out when it is built with COLD_START=off."""
