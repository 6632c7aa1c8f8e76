// All messages between the coordinator and those who connect to it, and how they travel.
#pragma once

#include "common/protocol/client_messages.h"
#include "common/protocol/connection_messages.h"
#include "common/protocol/message_codec.h"
#include "common/protocol/pilot_messages.h"
#include "common/protocol/worker_messages.h"
