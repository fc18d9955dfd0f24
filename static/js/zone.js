// Tells the server, for this visit, in which time zone this browser is: it offers that zone to people who have not chosen one.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `browser_zone=${encodeURIComponent(zone)}; path=/; samesite=lax`;
