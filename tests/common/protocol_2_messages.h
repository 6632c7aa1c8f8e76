// The body of a frame, in hexadecimal, as a worker with protocol version 2 sends it: MessagePack of [type, fields].
#pragma once

namespace orchestrate {

inline const char* const kHello =
    "92a568656c6c6f8ca6646576696365a3637075a4686f7374a26e31aa6c6f675f666f6c646572a52f6c6f6773a46e616d65a2"
    "7731aa70726f636573735f6964cd1267af70726f6772616d5f76657273696f6ea5302e312e30b070726f746f636f6c5f7665"
    "7273696f6e02a572616e6b7302a4726f6c65a6776f726b6572a772756e6e696e6782a36a6f6207a66e756d62657203a5736c"
    "6f747300a5746f6b656ea174";

}  // namespace orchestrate
